job "x" {
  meta {
    a = "${1e999999999}"
  }
}
