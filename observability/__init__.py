"""What Prometheus and Grafana are told of pyiexec, made from the names of its metrics."""
