import threading

from chatproto_sync import Server, connect

server = Server(port=0)  # any port that is free
serving = threading.Thread(target=server.run, daemon=True)
serving.start()
host, port = "127.0.0.1", int(server.addresses[0].rpartition(":")[2])
