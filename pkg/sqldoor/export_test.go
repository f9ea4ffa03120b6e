package sqldoor

// IsRefused is for tests that look at what the engine has.
var IsRefused = isRefused
