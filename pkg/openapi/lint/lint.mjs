// Lints an OpenAPI document with the rules that Redocly recommends, and some
// more: node lint.mjs FILE. It looks nothing up on the network, and ends with 1
// when there is anything to say.
import { readFileSync } from 'node:fs';
import { createConfig, lintFromString } from '@redocly/openapi-core';

const file = process.argv[2];
const config = await createConfig({
  extends: ['recommended-strict'],
  rules: {
    // "/" is where the document comes from: every Lethe has its own.
    'no-server-example.com': 'off',
    // Public routes and lists without parameters fail in no way of their own;
    // "default" describes the rest.
    'operation-4xx-response': 'off',
    'no-schema-type-mismatch': 'error',
    'operation-description': 'error',
    'parameter-description': 'error',
    'tag-description': 'error',
    'path-excludes-patterns': { severity: 'error', patterns: ['/$'] },
    'no-invalid-schema-examples': 'error',
    'no-invalid-media-type-examples': { severity: 'error', allowAdditionalProperties: true },
    'no-unused-components': 'error',
  },
});
const problems = await lintFromString({
  source: readFileSync(file, 'utf8'),
  absoluteRef: file,
  config,
});
for (const p of problems) {
  const at = p.location?.[0]?.pointer ?? '';
  console.error(`${file}${at}: ${p.severity}: ${p.ruleId}: ${p.message}`);
}
process.exitCode = problems.length > 0 ? 1 : 0;
