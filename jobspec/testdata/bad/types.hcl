job "x" {
  priority = "high"
  group "g" {
    count = 1.5
    update {
      min_healthy_time = "ten seconds"
      stagger          = 30
    }
    task "t" {
      driver = ["docker"]
      env    = ["A=b"]
      affinity {
        weight = 500
      }
      kill_timeout = null
      resources {
        cpu = true
      }
    }
  }
}
