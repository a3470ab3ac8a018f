job "x" {
  meta {
    a = format("%1000000000d", 1)
  }
}
