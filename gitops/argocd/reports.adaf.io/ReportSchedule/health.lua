-- Health of a ReportSchedule: whether its definition is in effect, and whether its readers have
-- their reports. A run that fails is Degraded here; kstatus and Flux look at the definition alone.
local hs = {status = "Progressing", message = "no report scheduler has looked at it yet"}
local status = obj.status
if status == nil or status.observedGeneration ~= obj.metadata.generation then
  return hs
end

local found = {}
for _, condition in ipairs(status.conditions or {}) do
  found[condition.type] = condition
end
local function holds(kind)
  return found[kind] ~= nil and found[kind].status == "True"
end

local ready = found["Ready"]
if ready == nil or ready.status == "Unknown" then
  return hs
end
if ready.status == "False" then
  hs.status = holds("Reconciling") and "Progressing" or "Degraded"
  hs.message = ready.reason .. ": " .. ready.message
  return hs
end

-- One paragraph for a person: cause, since when, who is affected, the next command.
local told = status.explanation
if holds("Failing") or holds("Delayed") then
  local gravest = holds("Failing") and found["Failing"] or found["Delayed"]
  hs.status = "Degraded"
  hs.message = told or (gravest.reason .. ": " .. gravest.message)
  return hs
end

-- Slots that passed without a Job, until there is a report made after them. Instants are UTC, in
-- one form: they compare as text.
local missed = status.lastMissed
if missed ~= nil
  and (status.lastSuccessTime == nil or status.lastSuccessTime <= missed.last)
  and (status.acknowledgedThrough == nil or status.acknowledgedThrough <= missed.last) then
  hs.status = "Degraded"
  hs.message = told or (missed.count .. " slots passed without a Job")
  return hs
end

-- Not Suspended: Argo CD does not call a sync done while a resource is.
hs.status = "Healthy"
if obj.spec.suspend == true then
  hs.message = "suspended: its slots pass without a run"
else
  hs.message = told or ready.message
end
return hs
