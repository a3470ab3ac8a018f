job "short" {
  id   = "short-id"
  type = "batch"
  meta = { a = "b" }
  vault {
    role = "reader"
  }
  periodic {
    crons            = ["@daily", "0 3 * * *"]
    prohibit_overlap = true
  }
  parameterized {
    payload       = "required"
    meta_required = ["x"]
  }
  task "only" {
    driver = "raw_exec"
    config = {
      command = "sh"
      args    = ["-c", "exit 0"]
    }
    resources {
      cores = 2
      network {
        mbits = 10
        port "db" {}
      }
      device "nvidia/gpu" {
        count = 1
        constraint {
          attribute = "${device.attr.memory}"
          operator  = ">="
          value     = "2 GiB"
        }
      }
    }
    artifact {
      source      = "https://example.com/x.tgz"
      destination = "local/x"
      options {
        checksum = "md5:abc"
      }
    }
    action "dump" {
      command = "/bin/dump"
      args    = ["-a"]
    }
  }
}
