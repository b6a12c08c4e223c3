import assert from "node:assert/strict";
import { execFileSync } from "node:child_process";
import { mkdtempSync, readFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

// A certificate for this machine, made when it is needed for the first time.
let made;
export function certificate() {
  if (made) return made;
  const folder = mkdtempSync(join(tmpdir(), "interop-tls-"));
  const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
  execFileSync(
    "openssl",
    ["req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes",
      "-days", "2", "-subj", "/CN=interop", "-addext", "subjectAltName=IP:127.0.0.1",
      "-keyout", key, "-out", cert],
    { stdio: "ignore" },
  );
  made = { key, cert };
  return made;
}

export const scenarios = {
  over_tls: {
    get server() {
      const { key, cert } = certificate();
      return { TLS_KEY: key, TLS_CERT: cert };
    },
    async run({ server, open }) {
      assert.match(server.url, /^https:/);
      const ca = readFileSync(certificate().cert);
      const socket = await open({ ca });
      const bytes = Buffer.alloc(100_000, 7);
      assert.ok(bytes.equals(await socket.emitWithAck("answer", bytes)));
      await assert.rejects(open(), "a client that does not know the certificate");
    },
  },
};
