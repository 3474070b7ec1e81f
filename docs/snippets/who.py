from chatproto_sync import connect

with connect(name="pong", reconnect=True) as chat:
    for message in chat:
        print(message)
        # Two bots that answer everything would never stop.
        if message.data == b"ping":
            chat.reply(message, "pong")
        if message.data == b"who" and message.group:
            chat.reply(message, ", ".join(chat.members(message.group)))
