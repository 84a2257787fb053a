"""The original design on its own stack: Flask, PyJWT, bcrypt and pymongo.

It is what `scripts/bench original` measures beside the product: the routes, fields and messages of the design, with the messages of
a user kept in an array inside the user's document, and nothing for speed but what anybody would write. `register` is added, because
people have to come from somewhere.
"""

import os
from datetime import datetime, timedelta, timezone
from functools import wraps

import bcrypt
import jwt
from bson import ObjectId
from bson.errors import InvalidId
from flask import Flask, g, jsonify, request
from pymongo import MongoClient
from pymongo.errors import DuplicateKeyError

JWT_SECRET = os.environ["JWT_SECRET"]

app = Flask(__name__)
users = MongoClient(os.environ["MONGODB_URI"]).get_default_database()["users"]
users.create_index("email", unique=True)
users.create_index("username", unique=True)


def now():
    return datetime.now(timezone.utc)


def shown(user):
    """A user as their own client sees them."""
    fields = ("username", "email", "isEmailVerified", "friends", "chats", "online_status", "last_login")
    return {"id": str(user["_id"])} | {field: user[field] for field in fields}


def make_token(user):
    return jwt.encode({"user_id": str(user["_id"]), "exp": now() + timedelta(days=1)}, JWT_SECRET, algorithm="HS256")


def token_required(handler):
    """Loads the user whose token came with the request."""

    @wraps(handler)
    def guarded():
        token = request.headers.get("Authorization", "").removeprefix("Bearer ")
        try:
            claims = jwt.decode(token, JWT_SECRET, algorithms=["HS256"])
        except jwt.InvalidTokenError:
            return jsonify(message="Invalid token"), 401
        g.user = users.find_one({"_id": ObjectId(claims["user_id"])})
        if g.user is None:
            return jsonify(message="Invalid token"), 401
        return handler()

    return guarded


@app.post("/api/auth/register")
def register():
    body = request.get_json()
    user = {
        "username": body["username"],
        "email": body["email"],
        "password": bcrypt.hashpw(body["password"].encode(), bcrypt.gensalt()),
        "isEmailVerified": False,
        "friends": [],
        "chats": [],
        "messages": [],
        "online_status": "online",
        "last_login": now().isoformat(),
    }
    try:
        users.insert_one(user)
    except DuplicateKeyError:
        return jsonify(message="User already exists"), 409
    return jsonify(message="Registration successful", token=make_token(user), user=shown(user)), 201


@app.post("/api/auth/login")
def login():
    body = request.get_json()
    user = users.find_one({"email": body["email"]})
    if user is None or not bcrypt.checkpw(body["password"].encode(), user["password"]):
        return jsonify(message="Invalid email or password"), 401
    seen = {"online_status": "online", "last_login": now().isoformat()}
    users.update_one({"_id": user["_id"]}, {"$set": seen})
    return jsonify(message="Login successful", token=make_token(user), user=shown(user | seen))


@app.get("/api/users/profile")
@token_required
def profile():
    return jsonify(shown(g.user))


@app.post("/api/chat/send")
@token_required
def send():
    body = request.get_json()
    try:
        recipient = users.find_one({"_id": ObjectId(body["recipientId"])})
    except InvalidId:
        recipient = None
    if recipient is None:
        return jsonify(message="User not found"), 404
    message = {
        "senderId": str(g.user["_id"]),
        "recipientId": str(recipient["_id"]),
        "content": body["message"],
        "timestamp": now().isoformat(),
    }
    for user, peer in ((g.user, recipient), (recipient, g.user)):
        added = {"$push": {"messages": message}, "$addToSet": {"chats": str(peer["_id"])}}
        users.update_one({"_id": user["_id"]}, added)
    return jsonify(message="Message sent successfully")


@app.get("/api/chat/messages")
@token_required
def messages():
    return jsonify(messages=g.user["messages"])
