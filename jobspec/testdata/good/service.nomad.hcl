# A web service with a static and a dynamic port, two tasks and most policies.
job "team/shop" {
  datacenters = ["dc1", "dc2"]
  type        = "service"
  priority    = 70
  namespace   = "prod"
  all_at_once = false

  meta {
    owner   = "shop"
    version = 3
  }

  constraint {
    attribute = "${attr.kernel.name}"
    value     = "linux"
  }
  constraint {
    distinct_hosts = true
  }
  constraint {
    attribute = "${attr.kernel.version}"
    version   = ">= 5.4"
  }
  constraint {
    distinct_property = "${meta.rack}"
    value             = 2
  }
  affinity {
    attribute = "${node.class}"
    operator  = "="
    value     = "fast"
    weight    = -20
  }
  spread {
    attribute = "${node.datacenter}"
    weight    = 100
    target "dc1" { percent = 70 }
    target "dc2" { percent = 30 }
  }

  update {
    max_parallel      = 2
    min_healthy_time  = "15s"
    healthy_deadline  = "3m"
    progress_deadline = "10m"
    canary            = 1
    auto_revert       = true
    health_check      = "task_states"
  }
  reschedule {
    unlimited = true
    delay     = "10s"
  }
  ui {
    description = "the shop"
    link {
      label = "docs"
      url   = "https://shop.example"
    }
  }

  group "web" {
    count          = 3
    shutdown_delay = "2s"

    network {
      mode = "host"
      port "http" { static = 8080 }
      port "db" {
        to           = 5432
        host_network = "private"
      }
    }
    volume "data" {
      type      = "host"
      source    = "shop-data"
      read_only = true
    }
    restart {
      attempts = 5
      interval = "10m"
      delay    = "5s"
      mode     = "delay"
    }
    ephemeral_disk {
      size   = 500
      sticky = true
    }
    disconnect {
      lost_after = "1h"
      replace    = false
    }
    scaling {
      min     = 1
      max     = 10
      enabled = true
      policy {
        cooldown = "1m"
        check "avg" {
          source = "prometheus"
          query  = "avg(x)"
        }
      }
    }
    service {
      name     = "shop"
      port     = "http"
      provider = "nomad"
      tags     = ["global", "web-${NOMAD_ALLOC_INDEX}"]
      check {
        type     = "http"
        path     = "/health"
        interval = "10s"
        timeout  = "2s"
        header {
          Accept = ["text/plain", "*/*"]
        }
        check_restart {
          limit = 3
          grace = "30s"
        }
      }
    }

    task "server" {
      driver       = "docker"
      user         = "nobody"
      leader       = true
      kill_timeout = "20s"
      kill_signal  = "SIGINT"

      config {
        image = "shop:1.2"
        ports = ["http", "db"]
        args  = ["-listen", "${NOMAD_ADDR_http}", "-rack", "${meta.rack}"]
        auth {
          username = "me"
        }
        mount {
          type   = "bind"
          source = "local/x"
          target = "/x"
        }
        mount {
          type     = "tmpfs"
          target   = "/tmp"
          readonly = false
        }
        labels = { team = "shop", n = 1.5 }
      }
      env {
        PORT  = 8080
        DEBUG = true
        HOME  = "${env["HOME"]}"
        LIT   = "$${KEEP}"
      }
      resources {
        cpu        = 500
        memory     = 256
        memory_max = 512
      }
      logs {
        max_files     = 3
        max_file_size = 5
      }
      volume_mount {
        volume      = "data"
        destination = "/data"
      }
      template {
        data        = <<-EOT
          addr={{ env "NOMAD_ADDR_http" }} ${NOMAD_TASK_DIR}
        EOT
        destination = "local/app.env"
        env         = true
        change_mode = "noop"
      }
      identity {
        env = true
      }
      identity {
        name = "vault"
        aud  = ["vault.io"]
        ttl  = "1h"
      }
    }

    task "init" {
      driver = "raw_exec"
      lifecycle {
        hook    = "prestart"
        sidecar = false
      }
      config {
        command = "/bin/true"
      }
    }
  }
}
