// Shows answers on the page. Without this script the form works as well, and the browser shows the JSON.
"use strict";

const form = document.querySelector("form");
const answer = document.querySelector("#answer");

form.addEventListener("submit", async (event) => {
  event.preventDefault();
  const { query, variables } = Object.fromEntries(new FormData(form));
  answer.textContent = "…";
  try {
    const body = JSON.stringify({ query, variables: variables.trim() ? JSON.parse(variables) : {} });
    const response = await fetch(location.pathname, {
      method: "POST",
      headers: { "content-type": "application/json" },
      body,
    });
    answer.textContent = JSON.stringify(await response.json(), null, 2);
  } catch (error) {
    answer.textContent = String(error);
  }
});
