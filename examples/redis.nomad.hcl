# A container with a port of the node mapped into it.
job "cache" {
  group "cache" {
    network {
      port "db" {
        to = 6379
      }
    }

    task "redis" {
      driver = "docker"

      config {
        image = "redis:7"
        ports = ["db"]
      }

      resources {
        cpu    = 200
        memory = 128
      }
    }
  }
}
