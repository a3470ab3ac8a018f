# An example job. "drover plan FILE" shows what registering it would change,
# "drover run FILE" registers it and watches it start.
job "example" {
  # service: runs until it is stopped. batch: runs until it is done.
  type = "service"

  # How a new version replaces the old one.
  update {
    max_parallel     = 1    # allocations replaced at a time
    min_healthy_time = "5s" # a new one must be healthy this long
    healthy_deadline = "5m" # and become so within this time
    auto_revert      = true # else the last good version comes back
  }

  # A group is placed as a whole on one node; count says how often.
  group "web" {
    count = 1

    network {
      # A free port of the node, in the task's environment as NOMAD_PORT_http.
      # With static = 8080 it would be that one.
      port "http" {}
    }

    # What the node does when a task fails.
    restart {
      attempts = 2
      interval = "30m"
      delay    = "15s"
      mode     = "fail" # give up here; the group is then placed elsewhere
    }

    task "hello" {
      # raw_exec runs a program of the node without isolation. docker runs
      # an image: config { image = "redis:7"  ports = ["http"] }.
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "while true; do echo \"hello from ${NOMAD_ALLOC_ID} on port $NOMAD_PORT_http\"; sleep 5; done"]
      }

      env {
        GREETING = "hello"
      }

      # What the task may count on; the scheduler adds these up per node.
      resources {
        cpu    = 100 # MHz
        memory = 64  # MiB
      }
    }
  }
}
