package stats_test

import "testing/fstest"

// The policy of these tests.

const k = 5

var documents = fstest.MapFS{
	"shop/visit.v1.json": {Data: []byte(`{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "urn:lethe:event:visit:v1",
  "title": "Visit", "description": "Somebody came by.", "type": "object",
  "x-lethe": {"event": "visit", "version": 1},
  "properties": {
    "user": {"type": "string", "maxLength": 64, "description": "Who came.",
      "x-lethe": {"category": "user.account.username", "class": "identifier", "identifier": "account"}},
    "action": {"type": "string", "enum": ["come", "go"], "description": "What they did.",
      "x-lethe": {"category": "user.behavior", "class": "plain"}},
    "product": {"type": "string", "maxLength": 64, "description": "What they came for.",
      "x-lethe": {"category": "system.operations", "class": "plain"}},
    "status": {"type": "integer", "minimum": -10, "maximum": 599, "description": "How it went.",
      "x-lethe": {"category": "system.operations", "class": "plain"}},
    "spent": {"type": "integer", "minimum": 0, "maximum": 1000000, "description": "What they paid.",
      "x-lethe": {"category": "system.operations", "class": "plain"}},
    "secure": {"type": "boolean", "description": "Whether nobody listened.",
      "x-lethe": {"category": "system.operations", "class": "plain"}},
    "place": {"type": "string", "maxLength": 200, "description": "Where to.",
      "x-lethe": {"category": "user.behavior.browsing_history", "class": "free_text"}}
  },
  "required": ["action", "status"],
  "additionalProperties": false,
  "examples": [{"user": "ada@example.org", "action": "come", "status": 200, "place": "/"}]
}`)},
	"shop/beat.v1.json": {Data: []byte(`{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "urn:lethe:event:beat:v1",
  "title": "Beat", "description": "A machine of ours is there.", "type": "object",
  "x-lethe": {"event": "beat", "version": 1},
  "properties": {
    "room": {"type": "string", "maxLength": 64, "description": "Where it stands.",
      "x-lethe": {"category": "system.operations", "class": "plain"}}
  },
  "required": ["room"],
  "additionalProperties": false,
  "examples": [{"room": "cellar"}]
}`)},
	"shop/night.v1.json": {Data: []byte(`{
  "$schema": "https://json-schema.org/draft/2020-12/schema",
  "$id": "urn:lethe:event:night:v1",
  "title": "Night", "description": "Somebody stayed.", "type": "object",
  "x-lethe": {"event": "night", "version": 1},
  "properties": {
    "user": {"type": "string", "maxLength": 64, "description": "Who stayed.",
      "x-lethe": {"category": "user.account.username", "class": "identifier", "identifier": "account"}}
  },
  "required": ["user"],
  "additionalProperties": false,
  "examples": [{"user": "ada@example.org"}]
}`)},
	"shop.yaml": {Data: []byte(`pipeline: shop
title: Shop
purpose: Count visits.
legal_basis: Legitimate interest
domain: shop
subjects: [visitors]
recipients: [analysts]
description: For tests.
epochs: {length: 66 days, anchor: "2026-03-01T12:00:00Z"}
events:
  visit:
    tables:
      visit:
        class: visits
        fields:
          user: {token: visitor, subject: true}
          action: keep
          product: keep
          status: keep
          spent: keep
          secure: keep
          place: {redact: path, as: path}
  beat:
    tables:
      beat:
        class: visits
        fields:
          room: keep
  night:
    tables:
      night:
        class: visits
        fields:
          user: {token: guest, subject: true}
metrics:
  visits:
    title: Visits
    description: Visits there were.
    table: visit
    value: count
    subject: visitor
    k: 5
    dimensions: [action, status, product, path, secure, hour]
  income:
    title: Income
    description: What visitors paid.
    table: visit
    value: sum
    of: spent
    subject: visitor
    k: 5
    dimensions: [action, status, product, path, secure, hour]
  visitors:
    title: Visitors
    description: Different people who came by.
    table: visit
    value: distinct
    subject: visitor
    k: 5
    dimensions: [action, status, product, path]
  regulars:
    title: Regulars
    description: Different people who arrived.
    table: visit
    value: distinct
    subject: visitor
    k: 6
    where: {action: [come]}
    buckets: [day, month]
    dimensions: [status, path]
  present:
    title: Present
    description: People whose latest visit is an arrival.
    table: visit
    value: current
    subject: visitor
    k: 5
    where: {action: [come]}
    dimensions: [status, product]
  beats:
    title: Beats
    description: Machines of ours that were there.
    table: beat
    value: count
    public: true
    dimensions: [room]
  nights:
    title: Nights
    description: Nights by day of another place.
    table: night
    value: count
    subject: guest
    k: 5
    zone: Africa/Cairo
  spent_per_visit:
    title: Spent per visit
    description: Income divided by visits.
    value: ratio
    of: [income, visits]
  visits_per_visitor:
    title: Visits per visitor
    description: Visits divided by visitors.
    value: ratio
    of: [visits, visitors]
  regular_share:
    title: Share of regulars
    description: Regulars divided by visitors.
    value: ratio
    of: [regulars, visitors]
`)},
	"retention.yaml": {Data: []byte(`classes:
  visits:
    cluster: visits
    description: Visits to the shop.
    period: 31 days
    starts: event
    governs: events
    promises: [P4]
  published:
    cluster: published statistics
    description: Numbers about groups.
    lasting: true
    governs: cells
    promises: [P19]
`)},
}
