"""Published programs that the benchmarks and tests run beside ours."""
