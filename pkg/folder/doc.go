// Package folder looks into the folders of files that have a deletion rule of
// their own: reports, backups, backups of keys. Retention removes what is past
// the rule, and verify names it; both go by what this package finds on disk and
// by no list.
//
// An entry is a file, however deep it lies, or a set: a folder with a manifest
// in it, which goes as a whole. The manifest of a set is the file manifest.json
// in it; that of the file F is F.manifest.json beside it, which belongs to F
// and goes with it. A manifest is a JSON object with the member "created", in
// RFC 3339.
//
// # How old an entry is
//
// It is as old as its modification time, its manifest, and the oldest file of a
// set say: the oldest counts, so that neither a file that is touched nor a
// manifest from the future makes a life longer. A tool that keeps the times of
// what it copies makes its copies as old as that.
//
// A modification time can be set anew, so what an entry was once seen to be
// counts too: its [Sightings], which retention keeps. They go by name and size.
// A file that is written anew under its name, of another size, is another one,
// and so is one that gets another name.
//
// # Names
//
// Whoever named a file may have named a person. No error here has a name in it,
// and what is said of an entry is its [Entry.Number], its size and its age.
//
// A removal can be interrupted anywhere: what is half removed bears another
// name, and counts as older than everything. Symbolic links are entries, and
// are not followed.
//
// The functions keep no state and may be called at the same time.
package folder
