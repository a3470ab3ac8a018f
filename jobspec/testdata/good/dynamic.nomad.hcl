variable "image" {
  type    = string
  default = "redis"
}
variable "tag" {
  default = "7"
}
variable "ports" {
  type    = map(number)
  default = { db = 6379, web = 0 }
}
variable "settings" {
  type = object({ debug = optional(bool, true), level = string })
  default = { level = "info" }
  validation {
    condition     = contains(["info", "warn"], var.settings.level)
    error_message = "level must be info or warn."
  }
}
variables {
  zones = ["a", "b"]
}
locals {
  full  = "${local.name}:${var.tag}"
  name  = lower("LIB/${var.image}")
  names = [for i, z in var.zones : "${z}${i}"]
}

job "dyn" {
  type        = var.settings.debug ? "batch" : "service"
  datacenters = local.names

  group "g" {
    count = length(var.zones)
    network {
      dynamic "port" {
        for_each = var.ports
        labels   = [port.key]
        content {
          static = port.value > 0 ? port.value : null
          to     = port.value
        }
      }
    }
    dynamic "task" {
      for_each = distinct(var.zones)
      iterator = zone
      labels   = ["t-${zone.value}"]
      content {
        driver = "docker"
        meta = {
          zone = zone.value
          all  = join(",", local.names)
        }
        env {
          ADDR = "${NOMAD_ADDR_db}/${zone.key}"
          JSON = jsonencode({ a = [1, 2], b = "${attr.cpu.arch}" })
        }
        config {
          image = local.full
          dynamic "mount" {
            for_each = [for n in range(2) : "/m${n}"]
            content {
              target = mount.value
            }
          }
        }
      }
    }
  }
}
