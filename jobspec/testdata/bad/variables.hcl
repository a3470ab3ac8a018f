variable "needed" {
  type = number
}
variable "typed" {
  type    = list(string)
  default = 3
}
variable "typed" {}
job "x" {}
