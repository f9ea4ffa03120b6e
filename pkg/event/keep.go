package event

// KeepRows returns the body of a clean frame with those of its rows that keep
// chooses, and how many they are. A body of which every row is kept is returned
// as it is. Rows that went through treatment once need not go through it again.
func KeepRows(body []byte, keep func(*Row) bool) (kept []byte, n int, err error) {
	columns, rows, err := ParseCleanBody(body)
	if err != nil {
		return nil, 0, err
	}
	var chosen []Clean
	for i := range rows {
		if keep(&rows[i]) {
			chosen = append(chosen, NewClean(rows[i]))
		}
	}
	if len(chosen) == len(rows) {
		return body, len(rows), nil
	}
	return CleanBody(columns, chosen), len(chosen), nil
}
