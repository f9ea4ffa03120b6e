// Asks the SQL door with ClickHouse's own client, as its manual shows, and
// prints what came of it as JSON. The address and the credential come on
// standard input, and so does where the client is.
import { createRequire } from 'node:module'
import { readFileSync } from 'node:fs'

const { url, pathname, credential, modules } = JSON.parse(readFileSync(0, 'utf8'))
const { createClient } = createRequire(modules + '/')('@clickhouse/client')
const options = { url, pathname, database: 'stats', application: 'test' }
const client = createClient({ ...options, username: 'lethe', password: credential, compression: { response: true } })
const said = {}

async function attempt(name, f) {
  try {
    said[name] = await f()
  } catch (e) {
    said[name] = { code: e.code ?? '', type: e.type ?? '' }
  }
}

const rows = async (query, more = {}) => (await client.query({ query, format: 'JSONEachRow', ...more })).json()

await attempt('ping', async () => (await client.ping()).success)
await attempt('ping with a query', async () => (await client.ping({ select: true })).success)
await attempt('rows', () => rows('SELECT status, path, value FROM requests WHERE service = {service: String} ORDER BY value', { query_params: { service: 'shop' } }))
await attempt('settings', () => rows('SELECT sum(value) AS n FROM requests', { clickhouse_settings: { output_format_json_quote_64bit_integers: 0, max_execution_time: 5 } }))
await attempt('json', async () => {
  const answer = await (await client.query({ query: 'SELECT value FROM cells ORDER BY value', format: 'JSON' })).json()
  return { rows: answer.rows, statistics: answer.statistics ?? null }
})
await attempt('stream', async () => {
  let n = 0
  const answer = await client.query({ query: 'SELECT number FROM numbers(100000)', format: 'JSONCompactEachRow' })
  for await (const some of answer.stream()) n += some.length
  return n
})
await attempt('schema', () => rows("SELECT name, type FROM system.columns WHERE table = 'requests' ORDER BY position LIMIT 2"))
await attempt('tenants', () => rows('SELECT tenant FROM lethe.cell'))
await attempt('file', () => rows("SELECT file('/etc/hostname')"))
await attempt('explain', () => rows('EXPLAIN ESTIMATE SELECT * FROM cells'))
await attempt('insert', () => client.insert({ table: 'requests', values: [{ value: 1 }], format: 'JSONEachRow' }))
await attempt('command', () => client.command({ query: 'DROP VIEW stats.requests' }))
await attempt('session', async () => (await (await client.query({ query: 'SELECT 1 AS one', session_id: 'mine', format: 'JSONEachRow' })).json())[0].one)
const bearer = createClient({ ...options, access_token: credential })
await attempt('bearer', async () => (await (await bearer.query({ query: 'SELECT 1 AS one', format: 'JSONEachRow' })).json())[0].one)
const wrong = createClient({ ...options, username: 'default', password: credential + 'x' })
await attempt('wrong', async () => (await wrong.query({ query: 'SELECT 1' })).text())
for (const c of [client, bearer, wrong]) await c.close()
console.log(JSON.stringify(said))
