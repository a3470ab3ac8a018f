job "x" {
  priority = attr.cpu.cores + 1
  group "g" {
    count = length(meta.x)
  }
}
