// Starts workerd with two KV namespaces, the REST paths in front of them, and the reference Worker once for each.
// Told by one JSON argument; says its address on one line; ends when its standard input is closed, or on SIGTERM.
import { createRequire } from "node:module";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";

const { packages, worker, account, tokens, namespaces, peppers, date } = JSON.parse(process.argv[2]);
const { Miniflare } = createRequire(`${packages}/`)("miniflare");

const module = (path) => ({
  modules: true,
  modulesRules: [{ type: "ESModule", include: ["**/*.js"] }],
  modulesRoot: dirname(path),
  scriptPath: path,
});

const edges = Object.entries(namespaces).map(([env, id]) => ({
  name: `edge-${env}`,
  ...module(worker),
  compatibilityDate: date,
  kvNamespaces: { SPENDOPS_KV: id },
  bindings: { SPENDOPS_ENV: env, ...peppers },
}));
const api = {
  name: "api",
  ...module(fileURLToPath(new URL("v4.js", import.meta.url))),
  compatibilityDate: date,
  kvNamespaces: Object.fromEntries(Object.entries(namespaces).map(([env, id]) => [`KV_${env.toUpperCase()}`, id])),
  serviceBindings: Object.fromEntries(Object.keys(namespaces).map((env) => [`EDGE_${env.toUpperCase()}`, `edge-${env}`])),
  bindings: {
    ACCOUNT: account,
    TOKENS: tokens,
    NAMESPACES: Object.fromEntries(
      Object.entries(namespaces).map(([env, id]) => [id, { title: `spendops-${env}`, binding: `KV_${env.toUpperCase()}` }]),
    ),
  },
};

const runtime = new Miniflare({
  host: "127.0.0.1",
  port: 0,
  cf: false,
  telemetry: { enabled: false },
  workers: [api, ...edges],
});

let ending = false;
async function end() {
  if (ending) return;
  ending = true;
  await runtime.dispose();
  process.exit(0);
}
process.on("SIGTERM", end);
process.on("SIGINT", end);
process.stdin.on("end", end).resume();

console.log(String(await runtime.ready));
