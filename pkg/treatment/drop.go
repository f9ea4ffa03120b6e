package treatment

import "github.com/lethe-pipeline/lethe/pkg/event"

// drop leaves nothing. A dropped field has no column, so that no table, backup
// or export can hold what was dropped; this is for a verb that is not known,
// which means drop.
func drop(event.Value) (event.Value, flaw) { return event.Value{}, sound }
