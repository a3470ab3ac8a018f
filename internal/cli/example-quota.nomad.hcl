name        = "example"
description = "what a team may use"

limit {
  # The bounds of all namespaces that name this quota, together. What is left
  # out, or 0, has no bound; what is negative is forbidden.
  region_limit {
    cpu         = 2500 # MHz, without those of reserved cores
    cores       = 4    # reserved ones
    memory      = 1024 # MiB
    memory_max  = 2048 # MiB, with what tasks may use beyond what they reserve
    allocations = 100  # that run, or are to
    jobs        = 20   # that are not dead, without instances of other jobs
  }
}
