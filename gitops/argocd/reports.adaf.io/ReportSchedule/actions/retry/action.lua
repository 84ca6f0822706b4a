-- Asks for a further attempt of the failed run. It names that run, so pressed twice it says the same.
if obj.status == nil or obj.status.lastFailure == nil then
  error("no run has failed")
end
if obj.metadata.annotations == nil then
  obj.metadata.annotations = {}
end
obj.metadata.annotations["reports.adaf.io/retry-requested"] = obj.status.lastFailure.job
return obj
