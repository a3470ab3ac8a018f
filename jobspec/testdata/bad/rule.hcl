variable "size" {
  type    = number
  default = 12
  validation {
    condition     = var.size <= 10
    error_message = "size must be at most 10."
  }
}
job "x" {}
