# A first job: it says hello every second. raw_exec needs no image and no root.
job "hello" {
  group "hello" {
    count = 1

    update {
      min_healthy_time = "1s"
    }

    task "hello" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "n=0; while true; do n=$((n+1)); echo \"hello, number $n, from allocation $NOMAD_SHORT_ALLOC_ID\"; sleep 1; done"]
      }

      resources {
        cpu    = 50 # MHz
        memory = 32 # MiB
      }
    }
  }
}
