# Runs every night at half past two, by the clock of Berlin, unless the run
# before has not ended. "drover job periodic force nightly" runs it now.
job "nightly" {
  type = "batch"

  periodic {
    cron             = "30 2 * * *"
    time_zone        = "Europe/Berlin"
    prohibit_overlap = true
  }

  group "report" {
    task "report" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "echo report of $(date)"]
      }
    }
  }
}
