from chatproto import ChatConnection, Invalid, Login, Role, Send

connection = ChatConnection(Role.SERVER)
for event in connection.receive_data(b"CHAT/1.0 LOGIN alice\nCHAT/1.0 SEND bob hi\nwhat?\n"):
    match event:
        case Login(name):
            print("this is", name)
        case Send(to, data):
            print("for", to, data)
        case Invalid(code, line):
            print("invalid:", code, line)
