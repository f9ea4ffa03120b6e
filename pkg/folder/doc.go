// Package folder looks into the folders of files that have a deletion rule of
// their own: reports, backups, backups of keys. Retention removes what is past
// the rule, and verify names it; both go by what this package finds on disk and
// by no list.
//
// An entry is a direct child of a folder, whatever it is: a file, or a folder
// with all that is in it. How old it is, its modification time says and, where
// there is one, its manifest: a JSON object with the member "created", in RFC
// 3339. The older of the two counts, so that neither touching a file nor a
// manifest from the future gives it a longer life. The manifest of a folder is
// the file manifest.json in it; that of the file F is F.manifest.json beside
// it, which belongs to F and goes with it.
//
// A removal can be interrupted anywhere: what is half removed bears another
// name, and counts as older than everything. Symbolic links are entries, and
// are not followed.
//
// The functions keep no state and may be called at the same time.
package folder
