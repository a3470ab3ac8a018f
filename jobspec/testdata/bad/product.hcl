job "x" {
  datacenters = flatten(setproduct(range(1000), range(1000), range(1000)))
}
