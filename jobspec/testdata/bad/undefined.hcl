variable "image" { default = "x" }
job "x" {
  name = "${var.imgae}-${foo.bar}"
  meta {
    a = nosuch(1)
    b = file("/etc/passwd")
    c = fileexists("/etc/passwd")
  }
}
