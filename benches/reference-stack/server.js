// A chat server as the reference designs it: REST and socket.io's namespace /chat over one Postgres.
// DATABASE_URL, JWT_SECRET and PORT say on what; where it listens is its first line.

import { createSecretKey } from 'node:crypto'
import { createServer } from 'node:http'
import jwt from 'jsonwebtoken'
import { Server } from 'socket.io'
import { Store } from './store.js'

const { DATABASE_URL, JWT_SECRET, PORT = '3000' } = process.env
const secret = createSecretKey(Buffer.from(JWT_SECRET))
const store = new Store(DATABASE_URL)

class Refusal extends Error {
  constructor(status, message) {
    super(message)
    this.status = status
  }
}

// The user id of an authorization like `Bearer TOKEN`.
function authenticate(authorization) {
  try {
    const { userId, sub } = jwt.verify(authorization.split(' ')[1], secret, { algorithms: ['HS256'] })
    return number(userId ?? sub)
  } catch {
    throw new Refusal(401, 'the token is not valid')
  }
}

function number(text) {
  if (!/^\d{1,15}$/.test(text)) throw new Refusal(400, 'not an id')
  return Number(text)
}

function limitOf(query, fallback) {
  const limit = Number(query.get('limit') ?? fallback)
  if (!Number.isInteger(limit) || limit < 1 || limit > 100) throw new Refusal(422, 'limit is 1 to 100')
  return limit
}

async function answer(request) {
  const url = new URL(request.url, 'http://localhost')
  const query = url.searchParams
  if (url.pathname === '/health') return { status: 'OK' }
  const userId = authenticate(request.headers.authorization)
  if (request.method !== 'GET') throw new Refusal(405, 'GET alone')
  if (url.pathname === '/conversations') {
    return store.conversations(userId, limitOf(query, 20), number(query.get('offset') ?? '0'))
  }
  if (url.pathname === '/conversations/messages/search') {
    if (!query.get('q')) throw new Refusal(422, 'q must say what to search for')
    return store.search(userId, query.get('q'), limitOf(query, 20))
  }
  const [, conversation] = /^\/conversations\/(\d+)\/messages$/.exec(url.pathname) ?? []
  if (!conversation) throw new Refusal(404, 'no such path')
  const before = query.has('before') ? number(query.get('before')) : undefined
  const page = await store.messages(userId, number(conversation), limitOf(query, 50), before)
  if (!page) throw new Refusal(404, 'no such conversation')
  return page
}

const http = createServer(async (request, response) => {
  let status = 200
  let body
  try {
    body = JSON.stringify(await answer(request))
  } catch (error) {
    status = told(error).status
    body = JSON.stringify(told(error))
  }
  response.writeHead(status, { 'content-type': 'application/json', 'content-length': Buffer.byteLength(body) })
  response.end(body)
})

// What a client is told of an error; what is no refusal is ours to look at.
function told(error) {
  if (error instanceof Refusal) return { status: error.status, message: error.message }
  console.error(error)
  return { status: 500, message: 'internal error' }
}

const io = new Server(http, { transports: ['websocket'], perMessageDeflate: false, serveClient: false })
// The request of a handshake is not needed after it, and would be kept as long as its socket.
io.engine.on('connection', (socket) => {
  socket.request = null
})

const chat = io.of('/chat')
const room = (conversationId) => `conversation:${conversationId}`

chat.use(async (socket, next) => {
  try {
    const user = await store.connect(authenticate(socket.handshake.auth.authorization))
    if (!user) throw new Refusal(401, 'no such user')
    socket.data.userId = user.id
    socket.join(user.conversations.map(room))
    next()
  } catch (error) {
    next(new Error(told(error).message))
  }
})

chat.on('connection', (socket) => {
  const { userId } = socket.data
  socket.emit('connected', { userId, serverTime: new Date() })

  socket.on('send_message', async (data, ack = () => {}) => {
    const tempId = data?.tempId
    try {
      const { content } = data ?? {}
      if (typeof content !== 'string' || content.length < 1 || content.length > 10_000) {
        throw new Refusal(422, 'content has 1 to 10,000 characters')
      }
      const message = await store.send(userId, number(data.conversationId), content)
      if (!message) throw new Refusal(404, 'no such conversation')
      chat.to(room(message.conversationId)).emit('new_message', { message, tempId })
      socket.emit('message_sent', { message, tempId })
      ack({ success: true })
    } catch (error) {
      socket.emit('message_error', { ...told(error), tempId })
      ack({ success: false, error: told(error) })
    }
  })
})

http.listen(Number(PORT), '127.0.0.1', () => console.log(`127.0.0.1:${http.address().port}`))
