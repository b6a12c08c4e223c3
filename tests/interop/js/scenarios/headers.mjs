import assert from "node:assert/strict";

// What a Node.js client adds to its requests has to arrive, and must not disturb anything.
const arrives = (name, value) => ({
  async run({ open }) {
    const socket = await open({ extraHeaders: { [name]: value } });
    assert.equal(await socket.emitWithAck("header", name.toLowerCase()), value);
    assert.equal(await socket.emitWithAck("header", "x-absent"), null);
  },
});

export const scenarios = {
  an_authorization_header: arrives("Authorization", "Bearer a.b-c"),
  a_cookie_header: arrives("Cookie", 'session="of the host"; other=1'),
};
