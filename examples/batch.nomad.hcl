# Runs once, on three places at a time if there are three, and is done.
job "count" {
  type = "batch"

  group "count" {
    count = 3

    restart {
      attempts = 1
      mode     = "fail"
    }

    task "count" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "for i in 1 2 3 4 5; do echo \"part $NOMAD_ALLOC_INDEX: $i\"; sleep 1; done"]
      }
    }
  }
}
