import assert from "node:assert/strict";
import { next } from "../harness.mjs";

async function echoes(socket, ...args) {
  socket.emit("echo", ...args);
  assert.deepEqual(await next(socket, "echo"), args);
}

const bytes = (...values) => Buffer.from(values);

export const scenarios = {
  text_and_unicode: {
    async run({ open }) {
      const socket = await open();
      await echoes(socket);
      await echoes(socket, "text", 1, -2.5, true, null, ["list", []], { key: { nested: {} } });
      await echoes(socket, "", 'quotes " and \\ and \n', "\u0000\u001e\u007f\u2028\u2029");
      await echoes(socket, "\u00fc \u20ac \u4f60\u597d \u{1f600} e\u0301");
      await echoes(socket, { "\u043a\u043b\u044e\u0447": "\ud83d\udc4d\ud83c\udffd" });
      await echoes(socket, "\u{1f600}".repeat(20_000));
      await echoes(socket, Number.MAX_SAFE_INTEGER, 1e-7, 1.5e300, -0.1);
    },
  },
  binary_attachments: {
    async run({ open }) {
      const socket = await open();
      await echoes(socket, bytes(0, 1, 254, 255));
      await echoes(socket, bytes(), "an empty one in front");
      await echoes(socket, bytes(1), "between", bytes(2), [bytes(3), { deep: { er: bytes(4) } }]);
      const file = Buffer.alloc(300_000, "ab");
      await echoes(socket, { file, name: "\u00fc.bin", more: [null, bytes(5)] }, bytes(6));
      await echoes(socket, ...Array.from({ length: 10 }, (_, n) => bytes(n)));
    },
  },
  a_placeholder_in_plain_data: {
    async run({ open }) {
      const socket = await open();
      // What looks like a placeholder in plain data must hurt nobody.
      socket.emit("echo", { _placeholder: true, num: 0 });
      await socket.emitWithAck("answer", "alive");
    },
  },
};
