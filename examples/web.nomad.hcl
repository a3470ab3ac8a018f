# A small web server with a dynamic port and a rolling update. Change the
# variable and run it again to see one allocation replaced after the other:
#
#   drover run -var message=hi examples/web.nomad.hcl
variable "message" {
  type    = string
  default = "hello"
}

job "web" {
  update {
    max_parallel     = 1
    min_healthy_time = "2s"
    healthy_deadline = "1m"
    auto_revert      = true
  }

  group "web" {
    count = 2

    network {
      port "http" {}
    }

    task "server" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "mkdir -p www && echo \"$MESSAGE\" >www/index.html && exec busybox httpd -f -v -p $NOMAD_PORT_http -h www"]
      }

      env {
        MESSAGE = var.message
      }
    }
  }
}
