job "x" {
  datacentres = ["dc1"]
  group "g" {
    cuont = 2
    tsak "t" {
      driver = "docker"
    }
    restart = { attempts = 1 }
    count {
    }
  }
}
