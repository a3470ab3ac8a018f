job "a" {
  group {
    task "x" "y" {}
    network {
      port { }
    }
    restart {}
    restart {}
    meta { a = 1 }
    meta = { b = 2 }
  }
}
