package audit

import (
	"fmt"
	"strconv"
	"strings"

	"golang.org/x/mod/sumdb/note"
	"golang.org/x/mod/sumdb/tlog"

	"github.com/lethe-pipeline/lethe/pkg/fault"
)

// A Checkpoint is what a signed note says of a tree, in the format of C2SP
// tlog-checkpoint (https://c2sp.org/tlog-checkpoint):
//
//	lethe.example/audit/2026
//	4711
//	nND/nri/U0xuHUrYSy0HtMeal2vzD9V4k/BO79C+QeI=
//	seq 4823
//
//	— lethe.example/audit Az3g...
//
// The first line is the origin of the log and the year, so that no two trees
// share it. The last line before the signature is an extension: the sequence
// of the audit stream through which everything is in the trees. It is part of
// what is signed, so that the tree and the place in the stream are durable in
// one act. A checkpoint bears no date: the same tree has the same checkpoint,
// whenever and how often it is signed.
type Checkpoint struct {
	Origin string // of the log, and the name of its key
	Year   int
	Size   int64
	Root   tlog.Hash // RFC 6962
	Seq    uint64
}

// maxIndex is beyond any tree, and leaves room for sums of indexes.
const maxIndex = 1 << 40

func (c Checkpoint) text() string {
	return fmt.Sprintf("%s/%04d\n%d\n%s\nseq %d\n", c.Origin, c.Year, c.Size, c.Root, c.Seq)
}

func (c Checkpoint) sign(signer note.Signer) (string, error) {
	signed, err := note.Sign(&note.Note{Text: c.text()}, signer)
	if err != nil {
		return "", fmt.Errorf("signing a checkpoint: %w", err)
	}
	return string(signed), nil
}

// ParseCheckpoint reads a signed note and holds it to a verifier key in the
// form of [Log.VerifierKey]. [fault.Invalid] says that the note is no
// checkpoint, or that the key did not sign it.
func ParseCheckpoint(signed, verifierKey string) (Checkpoint, error) {
	v, err := note.NewVerifier(verifierKey)
	if err != nil {
		return Checkpoint{}, fault.Invalid.Errorf("the verifier key is none")
	}
	n, err := note.Open([]byte(signed), note.VerifierList(v))
	if err != nil {
		return Checkpoint{}, fault.Invalid.Errorf("the checkpoint is not signed by the key of %s", v.Name())
	}
	c, ok := parseCheckpoint(n.Text)
	if !ok || c.Origin != v.Name() {
		return Checkpoint{}, fault.Invalid.Errorf("the note is signed and is no checkpoint of %s", v.Name())
	}
	return c, nil
}

// parseCheckpoint reads the text of a note. There is one way to write a
// checkpoint.
func parseCheckpoint(text string) (c Checkpoint, ok bool) {
	lines := strings.Split(text, "\n")
	if len(lines) != 5 {
		return c, false
	}
	slash := strings.LastIndexByte(lines[0], '/')
	if slash < 0 {
		return c, false
	}
	c.Origin = lines[0][:slash]
	var errs [4]error
	c.Year, errs[0] = strconv.Atoi(lines[0][slash+1:])
	c.Size, errs[1] = strconv.ParseInt(lines[1], 10, 64)
	c.Root, errs[2] = tlog.ParseHash(lines[2])
	c.Seq, errs[3] = strconv.ParseUint(strings.TrimPrefix(lines[3], "seq "), 10, 64)
	for _, err := range errs {
		if err != nil {
			return c, false
		}
	}
	return c, c.Size >= 0 && c.Size <= maxIndex && c.text() == text
}
