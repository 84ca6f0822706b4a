local suspended = obj.spec.suspend == true
local failing = false
local status = obj.status or {}
for _, condition in ipairs(status.conditions or {}) do
  failing = failing or (condition.type == "Failing" and condition.status == "True")
end

local actions = {}
actions["run-now"] = {
  ["disabled"] = false, ["displayName"] = "Run now", ["iconClass"] = "fa fa-fw fa-play-circle"
}
actions["retry"] = {
  ["disabled"] = not (failing and status.lastFailure ~= nil),
  ["displayName"] = "Retry", ["iconClass"] = "fa fa-fw fa-redo"
}
actions["suspend"] = {
  ["disabled"] = suspended, ["displayName"] = "Suspend", ["iconClass"] = "fa fa-fw fa-pause"
}
actions["resume"] = {
  ["disabled"] = not suspended, ["displayName"] = "Resume", ["iconClass"] = "fa fa-fw fa-play"
}
return actions
