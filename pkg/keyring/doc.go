// Package keyring holds every key of Lethe and gives out none. It offers verbs:
// seal, open, make a token, destroy. No method returns the bytes of a key, and
// no value that holds one prints, logs or marshals it.
//
// Destroying a key is how Lethe forgets. Bytes in a log, a replica or a backup
// cannot be deleted on time; a key can, and what it sealed is noise from then
// on, wherever a copy lies.
//
// # Keys
//
//   - raw: an HPKE key pair (RFC 9180) for each tenant and UTC hour. Whoever
//     seals needs only the public half, so the gateway can open nothing.
//   - quarantine: an HPKE key pair for each tenant and UTC day.
//   - clean: a key for each deletion class and UTC expiry day, from which each
//     tenant's own is derived (HKDF, RFC 5869).
//   - epoch: a key for each pseudonymization domain and epoch. Tokens are
//     HMAC-SHA-256 under a key derived for tenant, service and kind of field:
//     equal values make unrelated tokens wherever one of these differs (P2).
//     A secret key, not a salt, because the values are few enough to try them
//     all (EDPB Guidelines 01/2025; NIST SP 800-53 SI-19(4)).
//   - event-id: one key, for event ids and message ids.
//
// # Powers
//
// A caller gets a [Gateway], a [Pseudonymizer], a [Loader], a [Retention], a
// [Hold], a [Cells] or a [Rights]: separate values with separate verbs, from a
// [Keyring] in process or a [Remote] over TLS 1.3, where the certificate decides. Handing a part one of
// them is all it takes to say what the part may do.
//
// # Guarantees
//
//   - A destroyed key opens, seals and makes nothing, also after a restart,
//     and is never made again. Every attempt is [ErrDestroyed].
//   - A key that has sealed anything is on disk, fsynced.
//   - A crash at any point leaves a key that is whole or one that is
//     destroyed.
//   - What was changed, or is opened for another tenant, class or day, is
//     [fault.Corrupt] and yields nothing.
//
// # On disk
//
// Each key is a file, encrypted with a wrapping key, which is encrypted to the
// key-encryption key: an age identity in a file of its own. Destroying a key
// overwrites its file; a disk that keeps old blocks, and a copy of the
// directory, still hold it wrapped. So the key-encryption key belongs on
// another disk, and copies of the directory live 30 days at most.
//
// # What it does not do
//
// It does not decide when a key's time has come (retention does), what is
// tokenized and in which canonical form (treatment does), or who is behind a
// use of the rights power (Config.Record tells the audit trail).
//
// # Concurrency
//
// Everything may be used by many goroutines, except a [Tokenizer].
package keyring
