job "x" {
  datacenters = [for a in range(1000) : join("", [for b in range(1000) : join("", [for c in range(1000) : "x"])])]
}
