package sqldoor

// IsRefused is for tests that look at what the engine has.
var IsRefused = isRefused

// TenantPlaces is how many statements of one tenant run at once.
const TenantPlaces = tenantPlaces
