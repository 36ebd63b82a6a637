"""The index as a GraphQL service: the query language of hosted subgraphs over the entities' tables."""
