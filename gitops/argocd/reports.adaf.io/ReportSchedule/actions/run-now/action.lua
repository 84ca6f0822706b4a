-- Asks for today's report. While a run of the same slot is under way that one is the answer, and
-- who has the mail gets no other: pressed twice it does no harm.
local os = require("os")
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["reports.adaf.io/run-requested-at"] = os.date("!%Y-%m-%dT%H:%M:%SZ")
return obj
