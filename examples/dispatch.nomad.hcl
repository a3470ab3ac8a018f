# A template that runs once for each dispatch:
#
#   echo "some text" | drover job dispatch -meta lang=en count-words -
job "count-words" {
  type = "batch"

  parameterized {
    payload       = "required"
    meta_required = ["lang"]
  }

  group "count" {
    task "count" {
      driver = "raw_exec"

      config {
        command = "/bin/sh"
        args    = ["-c", "echo \"$NOMAD_META_lang: $(wc -w <local/text) words\""]
      }

      dispatch_payload {
        file = "text"
      }
    }
  }
}
