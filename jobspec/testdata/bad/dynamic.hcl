job "x" {
  dynamic "group" {
    for_each = 3
    content {}
  }
  dynamic "group" {
    content {}
  }
  dynamic "group" {
    for_each = range(1000)
    labels   = ["g${group.value}"]
    content {
      dynamic "task" {
        for_each = range(1000)
        labels   = ["t${task.value}"]
        content {}
      }
    }
  }
}
