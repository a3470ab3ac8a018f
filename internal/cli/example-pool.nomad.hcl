node_pool "example" {
  description = "what the nodes of this pool are for"

  # For people and tools; the scheduler does not look at it.
  meta {
    owner = "platform"
  }

  # How long the identities of its nodes are valid; without it, what the
  # servers say.
  # node_identity_ttl = "24h"

  # What the scheduler does otherwise than in the rest of the region.
  # scheduler_config {
  #   scheduler_algorithm             = "spread" # or "binpack"
  #   memory_oversubscription_enabled = true
  # }
}
