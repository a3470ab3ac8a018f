job "mesh" {
  group "api" {
    network {
      mode = "bridge"
      dns {
        servers = ["1.1.1.1"]
      }
    }
    service {
      name = "api"
      port = 9001
      connect {
        sidecar_service {
          proxy {
            local_service_port = 9001
            upstreams {
              destination_name = "db"
              local_bind_port  = 5432
              mesh_gateway {
                mode = "local"
              }
            }
            expose {
              path {
                path            = "/metrics"
                protocol        = "http"
                local_path_port = 9001
                listener_port   = "metrics"
              }
            }
            config {
              protocol = "http"
            }
            transparent_proxy {
              exclude_uids          = ["1"]
              exclude_outbound_cidrs = ["10.0.0.0/8"]
            }
          }
        }
        sidecar_task {
          resources {
            cpu = 50
          }
          logs {
            max_files = 1
          }
        }
      }
    }
    service {
      name = "gw"
      connect {
        gateway {
          proxy {
            connect_timeout = "5s"
            envoy_gateway_bind_addresses "a" {
              address = "0.0.0.0"
              port    = 80
            }
          }
          ingress {
            listener {
              port     = 80
              protocol = "http"
              service {
                name  = "web"
                hosts = ["*"]
                request_headers {
                  add    = { x = "y" }
                  remove = ["z"]
                }
              }
            }
          }
        }
      }
    }
    task "t" {
      driver = "docker"
      csi_plugin {
        id   = "p"
        type = "node"
      }
      schedule {
        cron {
          start = "0 1 * * *"
          end   = "0 2"
        }
      }
      resources {
        numa {
          affinity = "require"
        }
      }
      scaling "cpu" {
        max = 100
      }
    }
  }
  multiregion {
    strategy {
      max_parallel = 1
    }
    region "west" {
      count = 2
    }
  }
}
