local suspended = obj.spec.suspend == true
local over = obj.status ~= nil and obj.status.completionTime ~= nil

local actions = {}
actions["suspend"] = {
  ["disabled"] = suspended or over, ["displayName"] = "Suspend", ["iconClass"] = "fa fa-fw fa-pause"
}
actions["resume"] = {
  ["disabled"] = over or not suspended, ["displayName"] = "Resume", ["iconClass"] = "fa fa-fw fa-play"
}
return actions
