-- Health of a ReportBackfill: as of a Job, Progressing until it is over, Degraded if runs failed.
local hs = {status = "Progressing", message = "no report scheduler has looked at it yet"}
local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return hs
end

local found = {}
for _, condition in ipairs(status.conditions or {}) do
  found[condition.type] = condition
end

local ready, complete = found["Ready"], found["Complete"]
if ready == nil or ready.status == "Unknown" then
  return hs
end
if ready.status == "False" then
  local moving = found["Reconciling"] ~= nil and found["Reconciling"].status == "True"
  hs.status = moving and "Progressing" or "Degraded"
  hs.message = ready.reason .. ": " .. ready.message
  return hs
end

hs.message = complete ~= nil and complete.message or ready.message
if complete ~= nil and complete.status == "True" then
  hs.status = (status.state == "Failed") and "Degraded" or "Healthy"
elseif obj.spec.suspend == true then
  -- Not Suspended: Argo CD does not call a sync done while a resource is.
  hs.status = "Healthy"
end
return hs
